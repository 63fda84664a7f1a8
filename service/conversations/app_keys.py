"""What the endpoints of conversations work with."""

from aiohttp import web

from service.dialogue.repository import DialogueRepository
from service.turns.control import TurnControl
from service.turns.runner import TurnRunner

DIALOGUES = web.AppKey("dialogues", DialogueRepository)
TURNS = web.AppKey("turns", TurnRunner)
TURN_CONTROL = web.AppKey("turn_control", TurnControl)

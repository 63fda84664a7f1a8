"""What the endpoints of conversations work with."""

from aiohttp import web

from service.dialogue.repository import Dialogues
from service.turns.control import Following
from service.turns.runner import Turns

DIALOGUES = web.AppKey("dialogues", Dialogues)
TURNS = web.AppKey("turns", Turns)
TURN_CONTROL = web.AppKey("turn_control", Following)

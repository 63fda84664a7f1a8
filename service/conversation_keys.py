"""What the endpoints of conversations work with."""

from aiohttp import web

from service.dialogues import Dialogues
from service.following import Following
from service.turns import Turns

DIALOGUES = web.AppKey("dialogues", Dialogues)
TURNS = web.AppKey("turns", Turns)
TURN_CONTROL = web.AppKey("turn_control", Following)

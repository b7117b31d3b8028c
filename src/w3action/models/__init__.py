"""Networks: clip -> logits, composed of a backbone, a temporal operation, an attention and a head."""

from w3action.models.action_model import ActionModel, Features
from w3action.models.attention import ATTENTIONS
from w3action.models.cost import Cost, count_cost
from w3action.models.create import create_model, list_models
from w3action.models.networks import NETWORKS
from w3action.models.weights import WeightsError

__all__ = [
    "ATTENTIONS",
    "NETWORKS",
    "ActionModel",
    "Cost",
    "Features",
    "WeightsError",
    "count_cost",
    "create_model",
    "list_models",
]

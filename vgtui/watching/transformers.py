"""For Hugging Face Transformers: the name of `vgtui.watching.integrations.transformers` that users know."""

from vgtui.watching.integrations.transformers import Watch as Watch

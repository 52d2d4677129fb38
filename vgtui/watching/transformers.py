"""For Hugging Face Transformers: the name under which users import `vgtui.watching.integrations.transformers`."""

from vgtui.watching.integrations.transformers import Watch as Watch

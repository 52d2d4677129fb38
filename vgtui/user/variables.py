"""Variables of the environment that are not options: the user's settings file, the sockets, and how SSH is called."""

FILE_VARIABLE = "VGTUI_CONFIG"
RUNTIME_VARIABLE = "VGTUI_RUNTIME_DIR"
"""Names the only folder of sockets that is used and searched; without it several are searched."""
SSH_VARIABLE = "VGTUI_SSH"
"""Names the command that `vgtui top --host` runs in place of ssh."""
EXEC_VARIABLE = "VGTUI_EXEC"
"""What `vgtui exec` tells the processes that it watches."""

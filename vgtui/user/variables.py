"""Variables of the environment that are not options: where the user's settings and sockets are."""

FILE_VARIABLE = "VGTUI_CONFIG"
RUNTIME_VARIABLE = "VGTUI_RUNTIME_DIR"
"""Names the only folder of sockets that is used and searched; without it several are searched."""
EXEC_VARIABLE = "VGTUI_EXEC"
"""What `vgtui exec` tells the processes that it watches."""

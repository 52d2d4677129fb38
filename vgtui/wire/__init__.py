"""What travels between processes and into files: frames, commands and answers."""

"""`python -m vgtui.training.worker`: a name of `vgtui.worker.main` that users know."""

from vgtui.worker.main import main

if __name__ == "__main__":
    main()

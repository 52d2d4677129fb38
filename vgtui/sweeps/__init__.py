"""Many runs, of a grid of configurations: what they are, how they are shared out, and what came of them."""

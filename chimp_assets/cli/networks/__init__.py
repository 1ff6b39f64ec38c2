"""Commands about learned networks: `chimp models`, `chimp detector`."""

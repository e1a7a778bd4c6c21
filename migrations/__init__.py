"""The engine's migration steps: plain SQL, each with its way back; worker/migrate runs them."""

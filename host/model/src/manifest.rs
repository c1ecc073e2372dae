//! `connector.toml`: what a connector offers and what it asks for.

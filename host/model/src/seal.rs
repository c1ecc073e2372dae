//! Sealing: AES-256-GCM with associated data, and the key hierarchy above it.

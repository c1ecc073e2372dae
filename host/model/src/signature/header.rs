//! The signature header taken apart.

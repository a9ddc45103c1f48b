//! These packages are only for `cargo tree`: what they depend on is what they are.

//! Where alerts come in.

pub mod payload;

//! alert-router

fn main() {}

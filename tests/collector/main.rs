//! The Collector's and Jaeger's files: first read as text, then run by the real programs.

mod config;
mod live;

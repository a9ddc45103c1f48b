//! alert-router: takes Alertmanager webhooks, dedupes and groups them, and forwards them to
//! e-mail or WeCom: durably, once, in order, within the channels' limits.

pub mod check;
pub mod clock;
pub mod config;
pub mod history;
pub mod message;
pub mod metrics;
pub mod receiver;
pub mod render;
pub mod route_test;
pub mod store;
pub mod webhook;

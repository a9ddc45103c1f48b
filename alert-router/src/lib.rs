//! alert-router: takes Alertmanager webhooks, dedupes and groups them, and forwards them to
//! e-mail or WeCom: durably, once, in order, within the channels' limits.

pub mod app;
pub mod check;
pub mod clock;
pub mod config;
pub mod dead_letter;
pub mod doctor;
pub mod history;
pub mod id;
pub mod listing;
pub mod message;
pub mod metrics;
pub mod plan;
pub mod quarantine;
pub mod receiver;
pub mod reload;
pub mod render;
pub mod route_test;
pub mod step;
pub mod store;
#[doc(hidden)]
pub mod testing;
pub mod tools;
mod trace;
mod trial;
mod trouble;
mod turn;
pub mod web;
pub mod webhook;

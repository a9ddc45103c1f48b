//! The whole chain on real parts: a rule fires in Prometheus, Alertmanager posts it, alert-router
//! writes it down and tells people, who read it in a real mailbox and on a phone of WeCom. What
//! only parts that others wrote can show is tested here; rules have their tests beside them.

mod cluster;
mod killed;
mod life;
mod outage;
mod refused;
mod stack;

//! Pages to read; there is nothing to call here.
//!
//! For those who come from elsewhere, with old names and code beside new: [Autobahn](autobahn),
//! [tokio-tungstenite](tokio_tungstenite), and with the feature `axum` `axum::extract::ws`. About one
//! matter each: [what happens](observing), [running in public](public), [how large a machine must
//! be](sizing), [from one process to many](scaling), and with the feature `hyper` mounting in other servers.

#[doc = include_str!("autobahn.md")]
pub mod autobahn {}
#[cfg(feature = "axum")]
#[doc = include_str!("axum.md")]
pub mod axum {}
#[cfg(feature = "hyper")]
#[doc = include_str!("mounting.md")]
pub mod mounting {}
#[doc = include_str!("observing.md")]
pub mod observing {}
#[doc = include_str!("public.md")]
pub mod public {}
#[doc = include_str!("scaling.md")]
pub mod scaling {}
#[doc = include_str!("sizing.md")]
pub mod sizing {}
#[doc = include_str!("tokio_tungstenite.md")]
pub mod tokio_tungstenite {}

//! Topics: who has joined them, and what is published to them.
//!
//! ```text
//! Hub ─ publish ─▶ Topic ─ deliver ─▶ Member ─ offer ─▶ WebSocket
//!                                        │ no room
//!                                        ▼
//!                                     Overflow: drop, close, or wait in the Backlog
//! ```
//!
//! Everything here is for moments: no lock is held across an await, and nobody waits for a
//! connection but who publishes on its behalf and has asked for that.

mod backlog;
mod envelope;
mod event;
mod handle;
mod inner;
mod interest;
mod member;
mod overflow;
mod presence;
mod publication;
mod relay;
mod shards;
mod topic;
mod weak;

pub use event::{HubEvent, HubEvents};
pub use handle::Hub;
pub use overflow::Overflow;
pub use presence::Present;
pub use publication::{Publication, Published};
pub use weak::WeakHub;

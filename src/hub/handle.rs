//! The handle of a hub.

use super::event::HubEvents;
use super::inner::{Inner, check};
use super::overflow::Overflow;
use super::presence::{MAX_INFO, Present, hexadecimal};
use super::publication::{Publication, Published};
use super::relay::Relay;
use super::weak::WeakHub;
use crate::broker::{Broker, BrokerState};
use crate::error::HubError;
use crate::transport::WebSocket;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Topics that connections join, and that messages are published to.
///
/// Cheap to clone: the clones are one hub. Connections of any kind can join, those of a listening
/// server, of mounted factories, of clients, of streams; a connection leaves by itself when it ends.
///
/// ```
/// use motorway::{HandlerResult, Hub, Message, WebSocket, WebSocketServerFactory, WebSocketServerProtocol};
///
/// struct Chat(Hub);
///
/// impl WebSocketServerProtocol for Chat {
///     async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
///         self.0.join(ws, "lobby")?;
///         Ok(())
///     }
///
///     async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
///         self.0.publish_except(ws, "lobby", message).await?;
///         Ok(())
///     }
/// }
///
/// let hub = Hub::in_memory();
/// let factory = WebSocketServerFactory::new(move || Chat(hub.clone()));
/// ```
///
/// # What you can rely on
///
/// 1. A message is framed once, whatever the number of members, and compressed once for all that can
///    share the result.
/// 2. Publishing waits for no slow connection: what such a one does not take is for its
///    [`Overflow`] policy.
/// 3. What one task publishes to a topic reaches each member in that order; all members of a topic
///    get its publications of this node in the same order.
/// 4. Many publications to a connection that has not been written to yet leave in one write.
/// 5. Delivered at most once: what is queued may be lost with the connection.
#[derive(Clone)]
pub struct Hub(pub(super) Arc<Inner>);

impl Hub {
    /// Makes a hub for the connections of this process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Arc::default())
    }

    /// Makes a hub that is one with those of other processes at the same broker.
    ///
    /// Members on this node get what is published here first, whatever becomes of the broker. This
    /// node subscribes to the topics that have members here, and to no others. Works in a task of the
    /// runtime, as long as the hub is kept.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    #[must_use]
    pub fn with_broker(broker: impl Broker) -> Self {
        Self(Inner::with_broker(broker))
    }

    /// Sets who is told how the hub fares with its broker; replaces who was before. Losses are logged
    /// in any case.
    ///
    /// Called by the task of the broker, which waits meanwhile; a panic is logged. What it captures
    /// lives as long as the hub, so a hub is captured by [`downgrade`](Self::downgrade), as in the
    /// example of [`broadcast_here`](Self::broadcast_here): it would keep itself otherwise.
    ///
    /// ```
    /// use motorway::{BrokerState, Hub};
    ///
    /// fn watch(hub: &Hub) {
    ///     hub.on_broker(|state| match state {
    ///         BrokerState::Lost => eprintln!("this node is alone"),
    ///         BrokerState::Restored => eprintln!("this node is not alone any more"),
    ///         state => eprintln!("{state:?}"),
    ///     });
    /// }
    /// ```
    pub fn on_broker(&self, told: impl Fn(BrokerState) + Send + Sync + 'static) {
        if let Some(relay) = &self.0.relay {
            relay.on_broker(Arc::new(told));
        }
    }

    /// Returns a handle that does not keep the hub, for what the hub keeps itself, such as the callback
    /// of [`on_broker`](Self::on_broker), and for tasks that are to end with it.
    #[must_use]
    pub fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// Returns the number of this node, in hexadecimal: random, another one for each hub. The others
    /// know it from [`Present::node`], and from what is [published](Broker#what-is-published).
    ///
    /// ```
    /// use motorway::Hub;
    ///
    /// let hub = Hub::in_memory();
    /// assert_eq!(hub.node().len(), 32);
    /// assert!(!hub.is_alone());
    /// ```
    #[must_use]
    pub fn node(&self) -> String {
        hexadecimal(self.0.presence.node())
    }

    /// Tells whether the hub has a broker and has lost the connection to it, so that members on this
    /// node get what is published here, and nothing else.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.relay.as_ref().is_some_and(Relay::is_lost)
    }

    /// Returns how many publications to and from other nodes were lost so far, as far as this node
    /// knows. What nodes tell each other of [presence](Self::present) does not count: it is made up for.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.relay.as_ref().map_or(0, Relay::lost)
    }

    /// Returns what came of all publications on this node so far, those of other nodes included.
    ///
    /// ```
    /// use motorway::Hub;
    ///
    /// fn metrics(hub: &Hub) -> String {
    ///     let totals = hub.totals();
    ///     format!("hub_sent_total {}\nhub_dropped_total {}\n", totals.sent, totals.dropped)
    /// }
    /// ```
    #[must_use]
    pub fn totals(&self) -> Published {
        self.0.totals()
    }

    /// Sets the overflow policy of connections that come to the hub from now on and have none of
    /// their own; to begin with they are closed with 1013.
    pub fn set_default_overflow(&self, overflow: Overflow) {
        self.0.set_default_overflow(overflow);
    }

    /// Sets the overflow policy of a connection, from now on.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed.
    pub fn set_overflow(&self, ws: &WebSocket, overflow: Overflow) -> Result<(), HubError> {
        self.0.enter(ws)?.set_overflow(overflow);
        Ok(())
    }

    /// Adds a connection to a topic; tells whether it was not there before. It leaves by itself when
    /// it ends.
    ///
    /// # Errors
    ///
    /// Fails if the topic has not 1 to 256 octets, if the connection is closing or closed, or if it
    /// has joined 1,024 topics.
    pub fn join(&self, ws: &WebSocket, topic: impl AsRef<str>) -> Result<bool, HubError> {
        self.0.join(ws, topic.as_ref())
    }

    /// Adds a connection to a topic, seen by all nodes under this text, such as a name or JSON; joined
    /// already, it gets another one. Tells whether it was not there before.
    ///
    /// ```
    /// use motorway::{Hub, WebSocket};
    ///
    /// fn enter(hub: &Hub, ws: &WebSocket, name: &str) -> motorway::Result<()> {
    ///     hub.join_as(ws, "lobby", name)?;
    ///     for present in hub.present("lobby") {
    ///         println!("{} is in the lobby", present.info());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails as [`join`](Self::join) does, and if the text has more than 1,024 octets.
    pub fn join_as(
        &self,
        ws: &WebSocket,
        topic: impl AsRef<str>,
        info: impl Into<Arc<str>>,
    ) -> Result<bool, HubError> {
        let info = info.into();
        if info.len() > MAX_INFO {
            let length = info.len();
            return Err(HubError::InfoTooLong { length });
        }
        let is_new = self.0.join(ws, topic.as_ref())?;
        self.0.appear(ws.id(), topic.as_ref(), info);
        Ok(is_new)
    }

    /// Lists who is in a topic on all nodes, those of this one first: all that have
    /// [joined](Self::join_as) under a text.
    ///
    /// Nodes know of others what they have told: within moments as a rule, and within an
    /// [interval](Self::set_presence_interval) if something was lost. A node that dies is found out
    /// after three intervals. Empty where nobody of this node is in the topic under a text.
    #[must_use]
    pub fn present(&self, topic: impl AsRef<str>) -> Vec<Present> {
        self.0.presence.list(topic.as_ref())
    }

    /// Sets how often this node tells others that it lives: 100 ms to 60 s, 5 s unless said otherwise;
    /// what is outside of that counts as the nearest. The same on all nodes, that is.
    pub fn set_presence_interval(&self, interval: Duration) {
        self.0.presence.set_interval(interval);
    }

    /// Takes a connection out of a topic; tells whether it was there.
    pub fn leave(&self, ws: &WebSocket, topic: impl AsRef<str>) -> bool {
        self.0.leave(ws.id(), topic.as_ref())
    }

    /// Publishes to all members of a topic.
    ///
    /// # Errors
    ///
    /// Fails if the topic has not 1 to 256 octets.
    ///
    /// # Cancel safety
    ///
    /// Published at the first poll; does not wait.
    pub async fn publish(
        &self,
        topic: impl AsRef<str>,
        publication: impl Into<Publication>,
    ) -> Result<Published, HubError> {
        self.publish_now(topic.as_ref(), &publication.into(), None)
    }

    /// Publishes to all members of a topic but this connection.
    ///
    /// Waits as [`publish_from`](Self::publish_from) does.
    ///
    /// # Errors
    ///
    /// Fails if the topic has not 1 to 256 octets.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has published nothing.
    pub async fn publish_except(
        &self,
        ws: &WebSocket,
        topic: impl AsRef<str>,
        publication: impl Into<Publication>,
    ) -> Result<Published, HubError> {
        self.until_room(ws).await;
        self.publish_now(topic.as_ref(), &publication.into(), Some(ws.id()))
    }

    /// Publishes to all members of a topic, on behalf of this connection: with
    /// [`Overflow::wait`] it waits until the connection keeps up with what is sent to itself.
    ///
    /// # Errors
    ///
    /// Fails if the topic has not 1 to 256 octets.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has published nothing.
    ///
    /// ```
    /// use motorway::{HandlerResult, Hub, Overflow, WebSocketStream};
    ///
    /// async fn play(hub: Hub, mut ws: WebSocketStream) -> HandlerResult {
    ///     hub.set_overflow(ws.handle(), Overflow::wait())?;
    ///     hub.join(ws.handle(), "arena")?;
    ///     while let Some(turn) = ws.recv().await? {
    ///         hub.publish_from(ws.handle(), "arena", turn).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn publish_from(
        &self,
        ws: &WebSocket,
        topic: impl AsRef<str>,
        publication: impl Into<Publication>,
    ) -> Result<Published, HubError> {
        self.until_room(ws).await;
        self.publish_now(topic.as_ref(), &publication.into(), None)
    }

    /// Publishes to every connection of the hub, whatever topics it has joined.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    ///
    /// # Cancel safety
    ///
    /// Published at the first poll; does not wait.
    pub async fn broadcast(
        &self,
        publication: impl Into<Publication>,
    ) -> Result<Published, HubError> {
        let publication = publication.into();
        let published = self.0.broadcast(&publication);
        if let Some(relay) = &self.0.relay {
            relay.publish(None, &publication);
        }
        Ok(published)
    }

    /// Publishes to the members of a topic on this node, and to no other node: what this node alone
    /// has to say, such as that somebody has [appeared](super::HubEvent::Appeared), which every node
    /// tells its own. Does not wait.
    ///
    /// # Errors
    ///
    /// Fails if the topic has not 1 to 256 octets.
    pub fn publish_here(
        &self,
        topic: impl AsRef<str>,
        publication: impl Into<Publication>,
    ) -> Result<Published, HubError> {
        let topic = topic.as_ref();
        check(topic)?;
        Ok(self.0.publish(topic, &publication.into(), None))
    }

    /// Publishes to every connection of the hub on this node, and to no other node. Does not wait.
    ///
    /// ```
    /// use motorway::{BrokerState, Hub};
    ///
    /// fn warn(hub: &Hub) {
    ///     let weak = hub.downgrade();
    ///     hub.on_broker(move |state| {
    ///         if let (BrokerState::Lost, Some(hub)) = (state, weak.upgrade()) {
    ///             hub.broadcast_here("you hear only those who are on this node");
    ///         }
    ///     });
    /// }
    /// ```
    pub fn broadcast_here(&self, publication: impl Into<Publication>) -> Published {
        self.0.broadcast(&publication.into())
    }

    /// Returns the connections that have joined a topic, on this node.
    ///
    /// ```
    /// # async fn example(hub: &motorway::Hub) -> motorway::Result<()> {
    /// println!("{} in the lobby, {} topics", hub.member_count("lobby"), hub.topic_count());
    /// for ws in hub.members("lobby") {
    ///     println!("{} is in {:?}", ws.peer(), hub.topics_of(&ws));
    ///     hub.leave(&ws, "lobby");
    ///     assert!(!hub.is_member(&ws, "lobby"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn members(&self, topic: impl AsRef<str>) -> Vec<WebSocket> {
        let topic = self.0.topic(topic.as_ref());
        let members = topic.map(|topic| {
            let members = topic.members();
            members
                .list()
                .iter()
                .map(|member| member.ws.clone())
                .collect()
        });
        members.unwrap_or_default()
    }

    /// Returns how many connections have joined a topic, on this node.
    #[must_use]
    pub fn member_count(&self, topic: impl AsRef<str>) -> usize {
        let topic = self.0.topic(topic.as_ref());
        topic.map_or(0, |topic| topic.members().len())
    }

    /// Tells whether a connection has joined a topic.
    #[must_use]
    pub fn is_member(&self, ws: &WebSocket, topic: impl AsRef<str>) -> bool {
        let topic = self.0.topic(topic.as_ref());
        topic.is_some_and(|topic| topic.members().contains(ws.id()))
    }

    /// Returns the topics that have members on this node.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<str>> {
        self.0.topic_names()
    }

    /// Returns the topics that a connection has joined.
    #[must_use]
    pub fn topics_of(&self, ws: &WebSocket) -> Vec<Arc<str>> {
        let member = self.0.member(ws.id());
        let joined = member.as_ref().map(|member| member.topics());
        let joined = joined.as_ref().and_then(|joined| joined.as_ref());
        let names = joined.map(|topics| topics.iter().map(|topic| Arc::clone(&topic.name)));
        names.map(Iterator::collect).unwrap_or_default()
    }

    /// Returns how many topics have members on this node.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.0.counts().0
    }

    /// Returns how many connections the hub knows on this node: those that have joined a topic since
    /// they opened, or have an overflow policy of their own.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.0.counts().1
    }

    /// Listens to joins and leaves on this node from now on, up to 4,096 of which wait to be received.
    ///
    /// ```
    /// use motorway::{Hub, HubEvent};
    ///
    /// async fn log(hub: Hub) {
    ///     let mut events = hub.events();
    ///     drop(hub);
    ///     while let Some(event) = events.next().await {
    ///         match event {
    ///             HubEvent::Joined { topic, ws, .. } => println!("{} joins {topic}", ws.peer()),
    ///             HubEvent::Left { topic, ws, .. } => println!("{} leaves {topic}", ws.peer()),
    ///             event => println!("{event:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn events(&self) -> HubEvents {
        self.0.events.listen()
    }

    /// Waits until a connection has room, if its policy is to wait.
    async fn until_room(&self, ws: &WebSocket) {
        if let Some(member) = self.0.member(ws.id()) {
            member.keeps_up().await;
        }
    }

    fn publish_now(
        &self,
        topic: &str,
        publication: &Publication,
        except: Option<u64>,
    ) -> Result<Published, HubError> {
        check(topic)?;
        let published = self.0.publish(topic, publication, except);
        if let Some(relay) = &self.0.relay {
            relay.publish(Some(topic), publication);
        }
        Ok(published)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topics, connections) = self.0.counts();
        f.debug_struct("Hub")
            .field("topics", &topics)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}

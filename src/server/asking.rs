//! Whether a connection is let in: the checks, and what the user says.

use super::WebSocketServerProtocol;
use super::carrier::{Carried, Carrier};
use super::factory::Settings;
use super::failure::gone;
use super::http::Pages;
use super::lifecycle::Counted;
use super::opening::{LAST_RESPONSE, Opening};
use super::protocol::ServerHandler;
use super::reading::Arrived;
use crate::connection::TimeoutKind;
use crate::error::{Error, Result};
use crate::handshake::server::{
    self, Checked, ConnectionAccept, ConnectionDeny, ConnectionRequest, HttpRequest,
};
use crate::handshake::{Agreed, HandshakeError};
use crate::observe::Moment;
use crate::transport::{catch_panic, within};
use http::StatusCode;
use std::pin::pin;
use tokio::time::Duration;

impl<C: Carrier> Opening<C> {
    /// Refuses a connection that the server has no room for.
    pub(super) async fn admit(&mut self, counted: &Counted) -> Result<()> {
        if self.lifecycle.draining.is_cancelled() {
            return self.refuse(HandshakeError::ShuttingDown).await;
        }
        let limit = self.settings.options.max_connections;
        if limit.is_some_and(|limit| counted.exceeds(limit)) {
            return self.refuse(HandshakeError::TooManyConnections).await;
        }
        Ok(())
    }

    /// Checks the request; answers one that is plain or not acceptable.
    pub(super) async fn judge(
        &mut self,
        arrived: Arrived,
        pages: Option<Pages>,
    ) -> Result<Box<ConnectionRequest>> {
        let Arrived {
            head, path_params, ..
        } = arrived;
        match server::check(head, &self.settings.options, self.details.clone()) {
            Checked::Upgrade(mut request) => {
                request.set_path_params(path_params);
                Ok(request)
            }
            Checked::Http(request) => {
                let mut request = *request;
                request.set_path_params(path_params);
                // Boxed, as the last response is, so that those let in carry no room for it.
                Box::pin(self.serve_page(request, pages)).await?;
                Err(HandshakeError::UpgradeRequired.into())
            }
            Checked::Refused { error, response } => {
                self.answer(response).await?;
                Err(error.into())
            }
        }
    }

    /// Answers a plain request: with what the user makes of it, or else with the status page.
    async fn serve_page(&mut self, request: HttpRequest, pages: Option<Pages>) -> Result<()> {
        let options = &self.settings.options;
        let page = server::status_page(&request, options);
        let Some(pages) = pages else {
            return self.answer(page).await;
        };
        let method = request.method().clone();
        // Also the closure itself may panic, before there is a future.
        let mut asking = pin!(catch_panic(async move { pages(request).await }));
        let asked = self
            .lifecycle
            .unless_killed(pin!(within(self.deadline, &mut asking)))
            .await;
        let Ok(answered) = asked? else {
            // The client is dropped now; the callback may go on until the server ends.
            self.carrier = None;
            let _ = self.lifecycle.unless_killed(asking).await;
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        };
        let options = &self.settings.options;
        let page = match answered {
            Ok(Some(response)) => server::respond(&method, &response, options),
            Ok(None) => page,
            Err(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                server::respond(&method, &status.into(), options)
            }
        };
        self.answer_within(PAGE_RESPONSE, page).await
    }

    /// Asks the protocol instance and sends the response.
    pub(super) async fn ask<P: WebSocketServerProtocol>(
        &mut self,
        handler: &mut ServerHandler<P>,
        request: &ConnectionRequest,
    ) -> Result<(Agreed, Carried<C::Stream>)> {
        let mut asking = pin!(catch_panic(handler.0.on_connect(request)));
        let asked = self
            .lifecycle
            .unless_killed(pin!(within(self.deadline, &mut asking)))
            .await;
        let Ok(verdict) = asked? else {
            // The client is dropped now; the callback may go on until the server ends.
            self.carrier = None;
            let _ = self.lifecycle.unless_killed(asking).await;
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        };
        if let Ok(Ok(accept)) = &verdict
            && let Some(own) = accept.own_options()
        {
            if let Err(error) = own.validate() {
                return self.deny(&ConnectionDeny::internal(error)).await;
            }
            self.settings = Settings::new(own.clone(), self.settings.observer.clone());
        }
        let options = &self.settings.options;
        let accept = match verdict {
            Ok(Ok(accept)) if accept.subprotocol().is_some() => accept,
            Ok(Ok(accept)) => match ConnectionAccept::default_for(request, options).subprotocol() {
                Some(protocol) => accept.protocol(protocol),
                None => accept,
            },
            Ok(Err(deny)) => return self.deny(&deny).await,
            Err(_) => {
                return self
                    .deny(&ConnectionDeny::internal("on_connect panicked"))
                    .await;
            }
        };
        // Whoever has not been let in before the shutdown is not let in any more.
        if self.lifecycle.draining.is_cancelled() {
            return self.refuse(HandshakeError::ShuttingDown).await;
        }
        let (response, agreed) = match server::accept(request, &accept, options) {
            Ok(accepted) => accepted,
            Err(error) => return self.refuse(error).await,
        };
        let Some(carrier) = self.carrier.take() else {
            return Err(gone());
        };
        self.heads.response(self.details.peer(), &response);
        self.octets.1 = response.len();
        let sending = pin!(within(self.deadline, carrier.open(response)));
        let sent = self.lifecycle.unless_killed(sending).await?;
        let Ok(carried) = sent else {
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        };
        let carried = carried?;
        self.timings.track(Moment::Response);
        Ok((agreed, carried))
    }

    pub(super) async fn refuse<T>(&mut self, error: HandshakeError) -> Result<T> {
        let response = server::refuse(&error, &self.settings.options);
        self.answer(response).await?;
        Err(error.into())
    }

    pub(super) async fn deny<T>(&mut self, deny: &ConnectionDeny) -> Result<T> {
        if let Some(error) = deny.source_error() {
            tracing::error!(peer = %self.details.peer(), error = error as &dyn std::error::Error, "on_connect failed");
        }
        self.answer(server::deny(deny)).await?;
        Err(HandshakeError::Denied {
            status: deny.status(),
        }
        .into())
    }

    /// Sends a last response.
    async fn answer(&mut self, response: Vec<u8>) -> Result<()> {
        self.answer_within(LAST_RESPONSE, response).await
    }

    async fn answer_within(&mut self, time: Duration, response: Vec<u8>) -> Result<()> {
        let Some(carrier) = self.carrier.take() else {
            return Err(gone());
        };
        self.heads.response(self.details.peer(), &response);
        let answering = Box::pin(carrier.answer(response, time));
        let _ = self.lifecycle.unless_killed(answering).await;
        Ok(())
    }
}

/// How long a client may take to read the answer to a plain request.
const PAGE_RESPONSE: Duration = Duration::from_secs(60);

//! A subscriber of `tracing` that writes down what it is told.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The fields of a span or an event, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field, empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

/// An event, with the spans around it, the innermost last.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) level: Level,
    pub(crate) fields: Fields,
    pub(crate) spans: Vec<(String, Fields)>,
}

/// What was told to the threads that test.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<Seen>>>);

impl Capture {
    /// Listens on this thread as long as what is returned is kept.
    pub(crate) fn start(level: LevelFilter) -> (Self, DefaultGuard) {
        LazyLock::force(&SECOND);
        let capture = Self::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone().with_filter(level));
        (capture, subscriber.set_default())
    }

    /// The events of a target.
    pub(crate) fn of(&self, target: &str) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        let of_target = seen.iter().filter(|seen| seen.target == target);
        of_target.cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_scope(event).into_iter();
        let spans = scope.flat_map(|scope| scope.from_root()).map(|span| {
            let fields = span.extensions().get::<Fields>().unwrap().clone();
            (span.name().to_owned(), fields)
        });
        let seen = Seen {
            target: event.metadata().target().to_owned(),
            level: *event.metadata().level(),
            fields,
            spans: spans.collect(),
        };
        self.0.lock().unwrap().push(seen);
    }
}

/// Where there is one subscriber alone, `tracing` asks the thread that says something first whether
/// anybody listens, and takes its answer for all.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| tracing_subscriber::registry().into());

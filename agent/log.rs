//! What the agent says of itself, one line each on stderr: for people, as JSON, or for the journal.

use std::fmt::{self, Debug, Write};
use std::io::stderr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::config;

/// The started log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    level: reload::Handle<LevelFilter, Registry>,
    json: Arc<AtomicBool>,
}

impl LogHandle {
    /// Takes over another configuration, from the next line on.
    pub fn set(&self, log: &config::Log) {
        self.json.store(log.format == config::Format::Json, Ordering::Relaxed);
        // It fails only when the subscriber is gone, and then nobody listens.
        let _ = self.level.reload(filter(log.level));
    }
}

/// Starts the log of this process. Panics of any thread become a line of it.
pub fn start(log: &config::Log) -> LogHandle {
    let (subscriber, handle) = subscriber(log, is_journal(stderr()), stderr);
    // It fails where a log was started before, as tests do.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("of an unknown kind"));
    }));
    handle
}

fn subscriber<W>(log: &config::Log, journal: bool, writer: W) -> (impl Subscriber + Send + Sync + use<W>, LogHandle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let json = Arc::new(AtomicBool::new(log.format == config::Format::Json));
    let (level, handle) = reload::Layer::new(filter(log.level));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { json: Arc::clone(&json), journal })
        // Its complaint about a closed stderr goes to stderr, and panics.
        .log_internal_errors(false)
        .with_writer(writer);
    (tracing_subscriber::registry().with(level).with(lines), LogHandle { level: handle, json })
}

fn filter(level: config::Level) -> LevelFilter {
    match level {
        config::Level::Error => LevelFilter::ERROR,
        config::Level::Warn => LevelFilter::WARN,
        config::Level::Info => LevelFilter::INFO,
        config::Level::Debug => LevelFilter::DEBUG,
        config::Level::Trace => LevelFilter::TRACE,
    }
}

/// Whether `stream` goes to the journal: systemd.exec(5), `$JOURNAL_STREAM`.
pub(crate) fn is_journal(stream: impl AsFd) -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(stream).is_ok_and(|facts| named == format!("{}:{}", facts.st_dev, facts.st_ino))
}

struct Lines {
    json: Arc<AtomicBool>,
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journal {
            write!(line, "<{}>", priority(level))?;
        }
        let json = self.json.load(Ordering::Relaxed);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut words = Words { json, message: String::new(), fields: String::new() };
        event.record(&mut words);
        let Words { message, fields, .. } = words;
        if json {
            let (level, target) = (level.as_str().to_ascii_lowercase(), event.metadata().target());
            let message = serde_json::Value::from(message);
            writeln!(line, r#"{{"time":"{time}","level":"{level}","target":"{target}","message":{message}{fields}}}"#)
        } else if self.journal {
            writeln!(line, "{}{fields}", Tame(&message))
        } else {
            writeln!(line, "{time} {level:5} {}{fields}", Tame(&message))
        }
    }
}

/// syslog(3)'s number of a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// An event's message, and its fields as they are written after it.
struct Words {
    json: bool,
    message: String,
    fields: String,
}

impl Words {
    /// A String takes every write.
    fn put(&mut self, field: &Field, value: impl fmt::Display) {
        let name = field.name();
        let _ = if self.json {
            write!(self.fields, r#","{name}":{value}"#)
        } else {
            write!(self.fields, " {name}={value}")
        };
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else if self.json {
            self.put(field, serde_json::Value::from(value));
        } else if is_plain(value) || is_quoted(value) {
            self.put(field, Tame(value));
        } else {
            self.put(field, format_args!("{value:?}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN.
        if self.json && !value.is_finite() { self.put(field, "null") } else { self.put(field, value) }
    }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=')
}

/// Whether `Debug` put it in quotes already.
fn is_quoted(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| {
        let mut escaped = false;
        let bare = inner.chars().any(|c| {
            let bare = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            bare
        });
        !bare && !escaped
    })
}

/// Text whose control characters are escaped, so that it can neither end a line nor move a terminal's cursor.
struct Tame<'a>(&'a str);

impl fmt::Display for Tame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| if is_wild(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// Control characters, and those that break or turn lines (Unicode's Zl, Zp and Bidi_Control).
fn is_wild(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(level: config::Level, format: config::Format) -> config::Log {
        config::Log { level, format }
    }

    fn written(log: config::Log, journal: bool, say: impl FnOnce(&LogHandle)) -> String {
        let page = Page::default();
        let writer = page.clone();
        let (subscriber, handle) = subscriber(&log, journal, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || say(&handle));
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn timeless(line: &str) -> &str {
        line.split_once(' ').unwrap().1
    }

    const TEXT: config::Log = config::Log { level: config::Level::Info, format: config::Format::Text };

    #[test]
    fn a_line_has_time_level_message_and_fields() {
        let line =
            written(TEXT, false, |_| tracing::info!(port = 9844, path = "/a b", plain = "x", ?TEXT.level, "listening"));
        assert!(line.starts_with("20") && line.contains("Z "), "{line}");
        assert_eq!(timeless(&line), "INFO  listening port=9844 path=\"/a b\" plain=x TEXT.level=Info\n");
    }

    #[test]
    fn the_journal_gets_levels_and_no_time() {
        let line = written(TEXT, true, |_| {
            tracing::error!("a");
            tracing::warn!(why = "b", "c");
            tracing::info!("d");
            tracing::debug!("e");
        });
        assert_eq!(line, "<3>a\n<4>c why=b\n<6>d\n");
    }

    #[test]
    fn json_is_one_object_each() {
        let line = written(log(config::Level::Debug, config::Format::Json), false, |_| {
            tracing::debug!(count = 3_u64, share = f64::NAN, odd = "\"\n", good = true, "two\nlines");
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(value["level"], "debug");
        assert_eq!(value["message"], "two\nlines");
        assert_eq!(value["count"], 3);
        assert!(value["share"].is_null());
        assert_eq!(value["odd"], "\"\n");
        assert_eq!(value["good"], true);
    }

    #[test]
    fn no_text_forges_a_line() {
        let evil = "x\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[2K\u{2028}\u{202e}";
        let shown = format!("\"{evil}\" a=\"b\"");
        for journal in [false, true] {
            let line = written(TEXT, journal, |_| tracing::info!(evil, %shown, ?evil, "{evil}"));
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.trim_end().contains(is_wild), "{line}");
        }
    }

    #[test]
    fn level_and_format_change_while_it_runs() {
        let lines = written(TEXT, true, |handle| {
            tracing::debug!("unheard");
            handle.set(&log(config::Level::Debug, config::Format::Text));
            tracing::debug!("heard");
            handle.set(&log(config::Level::Error, config::Format::Json));
            tracing::warn!("unheard");
            tracing::error!("json");
        });
        assert!(lines.starts_with("<7>heard\n<3>{\"time\":\""), "{lines}");
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn a_quoted_value_is_not_quoted_again() {
        for (value, quoted) in
            [("\"a b\"", true), ("\"a\\\"b\"", true), ("\"a\" \"b\"", false), ("\"a\\\"", false), ("\"", false)]
        {
            assert_eq!(is_quoted(value), quoted, "{value}");
        }
    }
}

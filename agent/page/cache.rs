//! The rendered pages of the newest snapshot, shared by everybody who scrapes it.

use std::sync::{Arc, Weak};

use hyper::body::Bytes;

use super::body::Body;
use super::prometheus::{Format, Renderer};
use crate::gzip::Gzip;
use crate::snapshot::Snapshot;

/// The most series of a plain page that is kept. One of many targets is megabytes, which nobody would read but somebody
/// who asks within the same second and does not take gzip: it is rendered as it is read, for each who does.
const KEPT: usize = 3_000;

/// Renders and compresses each snapshot once a format, and keeps its buffers from page to page.
#[derive(Default)]
pub struct Cache {
    /// The snapshot of the fresh pages. Weak: a page does not keep readings from being written again, and the
    /// address of a snapshot that went is not given to another while we hold this.
    of: Weak<Snapshot>,
    renderer: Renderer,
    plain: [Slot; 2],
    gzip: [Slot; 2],
    packer: Option<Gzip>,
    /// What is rendered and not yet compressed.
    piece: Vec<u8>,
}

#[derive(Default)]
struct Slot {
    page: Bytes,
    fresh: bool,
}

impl Slot {
    fn fresh(&self) -> Option<Bytes> {
        self.fresh.then(|| self.page.clone())
    }

    /// The buffer of the page before, unless somebody still reads it.
    fn buffer(&mut self) -> Vec<u8> {
        let old = std::mem::take(&mut self.page);
        let mut buffer = if old.is_unique() { Vec::from(old) } else { Vec::with_capacity(old.len() + old.len() / 8) };
        buffer.clear();
        buffer
    }

    fn fill(&mut self, page: Vec<u8>) -> Bytes {
        *self = Slot { page: page.into(), fresh: true };
        self.page.clone()
    }
}

impl Cache {
    /// The page of `snapshot`, and whether it is in gzip: only where that was wanted.
    pub fn page(&mut self, snapshot: &Arc<Snapshot>, format: Format, gzip: bool) -> (Body, bool) {
        if !std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(snapshot)) {
            self.of = Arc::downgrade(snapshot);
            self.plain.iter_mut().chain(&mut self.gzip).for_each(|slot| slot.fresh = false);
        }
        if let Some(packed) = gzip.then(|| self.packed(snapshot, format)).flatten() {
            return (packed.into(), true);
        }
        let Cache { renderer, plain: [text, open], .. } = self;
        let slot = if format == Format::Text { text } else { open };
        if snapshot.readings.iter().map(|reading| reading.series()).sum::<usize>() > KEPT {
            *slot = Slot::default();
            return (renderer.rendering(snapshot, format).into(), false);
        }
        let page = slot.fresh().unwrap_or_else(|| {
            let mut buffer = slot.buffer();
            renderer.render(snapshot, format, &mut buffer);
            slot.fill(buffer)
        });
        (page.into(), false)
    }

    /// The page in gzip: compressed while it is rendered, as the plain text of thousands of targets is megabytes that
    /// nobody reads.
    fn packed(&mut self, snapshot: &Snapshot, format: Format) -> Option<Bytes> {
        let Cache { renderer, gzip: [text, open], packer, piece, .. } = self;
        let slot = if format == Format::Text { text } else { open };
        if let Some(page) = slot.fresh() {
            return Some(page);
        }
        let (mut buffer, mut result) = (slot.buffer(), Ok(()));
        let mut packing = packer.get_or_insert_default().begin(&mut buffer);
        piece.clear();
        renderer.render_through(snapshot, format, piece, &mut |page| {
            if result.is_ok() {
                result = packing.take(page);
            }
        });
        result.and_then(|()| packing.end(piece)).ok()?;
        Some(slot.fill(buffer))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::metric::{Metric, Unit};
    use crate::snapshot::{Labels, Reading};

    static UP: Metric = Metric::gauge("up", Unit::One, "Up.");

    fn snapshot(series: usize) -> Arc<Snapshot> {
        let mut reading = Reading::default();
        reading.start(Instant::now(), SystemTime::now());
        for index in 0..series {
            reading.put_with(&UP, &Labels::new(&[("target", &index.to_string())]), index as f64 / 7.0);
        }
        Arc::new(Snapshot { readings: vec![Arc::new(reading)], at: Instant::now(), taken: SystemTime::now() })
    }

    fn whole(page: Body) -> Vec<u8> {
        page.flatten().collect()
    }

    fn unpacked(page: Body) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*whole(page)).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn one_snapshot_is_rendered_once() {
        let (mut cache, first, second) = (Cache::default(), snapshot(3), snapshot(3));
        for gzip in [false, true] {
            let page = |cache: &mut Cache, snapshot| cache.page(snapshot, Format::Text, gzip).0.next().unwrap();
            let (one, two) = (page(&mut cache, &first), page(&mut cache, &first));
            assert_eq!(one.as_ptr(), two.as_ptr());
            let other = page(&mut cache, &second);
            assert_eq!(one, other);
            assert_ne!(one.as_ptr(), other.as_ptr(), "a page that is still read is not written over");
        }
    }

    #[test]
    fn a_buffer_that_nobody_reads_is_used_again() {
        let (mut cache, first, second) = (Cache::default(), snapshot(300), snapshot(300));
        for gzip in [false, true] {
            let address =
                |cache: &mut Cache, snapshot| cache.page(snapshot, Format::Text, gzip).0.next().unwrap().as_ptr();
            assert_eq!(address(&mut cache, &first), address(&mut cache, &second));
        }
    }

    #[test]
    fn a_long_page_is_rendered_as_it_is_read() {
        let mut cache = Cache::default();
        // The same metric in several families, of which each has what the one before has, and more.
        let readings = [KEPT, 2 * KEPT, 3 * KEPT].map(|series| Arc::clone(&snapshot(series).readings[0]));
        let snapshot = Arc::new(Snapshot { readings: readings.into(), at: Instant::now(), taken: SystemTime::now() });
        for format in [Format::Text, Format::OpenMetrics] {
            let page = cache.page(&snapshot, format, false).0;
            let pieces: Vec<Bytes> = page.collect();
            assert!(pieces.len() > 1);
            let mut expected = Vec::new();
            Renderer::default().render(&snapshot, format, &mut expected);
            assert!(pieces.concat() == expected);
            assert!(cache.plain.iter().all(|slot| slot.page.is_empty()));
        }
    }

    #[test]
    fn gzip_holds_the_same_page_whatever_its_size() {
        let mut cache = Cache::default();
        for series in [0, 1, 600, 20_000] {
            for format in [Format::Text, Format::OpenMetrics] {
                let snapshot = snapshot(series);
                let (packed, gzip) = cache.page(&snapshot, format, true);
                assert!(gzip);
                assert!(unpacked(packed) == whole(cache.page(&snapshot, format, false).0));
            }
        }
    }

    #[test]
    fn a_cache_holds_no_readings() {
        let (mut cache, snapshot) = (Cache::default(), snapshot(1));
        cache.page(&snapshot, Format::Text, true);
        assert!(Arc::try_unwrap(snapshot).is_ok());
    }
}

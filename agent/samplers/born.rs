//! Devices, mounts and interfaces that were seen before, each with what was interned when it was born.

/// A table of named things in the order in which the kernel lists them.
///
/// A pass that meets the same things in the same order compares one name each; only a change searches.
#[derive(Debug)]
pub struct Born<T> {
    entries: Vec<(Box<str>, T)>,
    cursor: usize,
    births: bool,
}

impl<T> Default for Born<T> {
    fn default() -> Born<T> {
        Born { entries: Vec::new(), cursor: 0, births: false }
    }
}

impl<T> Born<T> {
    /// Begins a pass, and forgets what the pass before did not meet.
    pub fn start(&mut self) {
        self.entries.truncate(self.cursor);
        (self.cursor, self.births) = (0, false);
    }

    /// The thing of that name; `bear` makes it when it is new. A name met twice in a pass is born twice.
    pub fn meet(&mut self, name: &str, bear: impl FnOnce() -> T) -> &mut T {
        let here = self.cursor;
        let found = self.entries.iter().skip(here).position(|(known, _)| &**known == name);
        match found {
            Some(0) => {}
            Some(further) => self.entries.swap(here, here + further),
            None => {
                self.births = true;
                self.entries.push((name.into(), bear()));
                let last = self.entries.len() - 1;
                self.entries.swap(here, last);
            }
        }
        self.cursor += 1;
        // `here` exists: it was found, or pushed and swapped there.
        #[allow(clippy::indexing_slicing)]
        &mut self.entries[here].1
    }

    /// Whether this pass, once it has met everything, bore or misses something.
    pub fn changed(&self) -> bool {
        self.births || self.cursor < self.entries.len()
    }

    /// What this pass met, in its order; what the pass before met while none has begun.
    pub fn met(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().take(self.cursor).map(|(_, thing)| thing)
    }

    /// The same, to be changed.
    pub fn met_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().take(self.cursor).map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(born: &mut Born<u32>, names: &[&str], births: &mut u32) -> Vec<u32> {
        born.start();
        let mut meet = |name: &&str| {
            *born.meet(name, || {
                *births += 1;
                *births
            })
        };
        names.iter().map(&mut meet).collect()
    }

    #[test]
    fn a_thing_is_born_once_wherever_it_stands() {
        let (mut born, mut births) = (Born::default(), 0);
        assert_eq!(pass(&mut born, &["a", "b", "c"], &mut births), [1, 2, 3]);
        assert_eq!(pass(&mut born, &["a", "b", "c"], &mut births), [1, 2, 3]);
        assert_eq!(pass(&mut born, &["b", "c"], &mut births), [2, 3]);
        assert_eq!(pass(&mut born, &["c", "b", "d"], &mut births), [3, 2, 4]);
        assert_eq!(born.met().copied().collect::<Vec<_>>(), [3, 2, 4]);
    }

    #[test]
    fn what_went_and_came_back_is_born_anew() {
        let (mut born, mut births) = (Born::default(), 0);
        pass(&mut born, &["a", "b"], &mut births);
        pass(&mut born, &["a"], &mut births);
        assert_eq!(pass(&mut born, &["a"], &mut births), [1]);
        assert_eq!(pass(&mut born, &["a", "b"], &mut births), [1, 3]);
    }
}

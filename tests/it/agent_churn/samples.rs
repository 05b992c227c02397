//! What an agent holds, again and again, and whether it grows.
//!
//! Medians of the last third are compared with those of the middle one: the first warms up caches,
//! tables and the allocator, and single samples catch a crowd that is there by chance. Memory may
//! rise by a fiftieth and 1 MiB: a crowd that is larger than all before takes some new pages (in
//! runs of 20 s up to 0.1 MiB was seen), and where memory cannot be locked the allocator gives some
//! back and takes them again. In an hour of `tests/soak` some 200,000 streams lie between the two
//! medians: a loss of 12 bytes with each is found.

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) memory_kib: u64,
    pub(crate) files: usize,
    /// SVIDs, there or to come.
    pub(crate) held: usize,
    /// Of Envoys.
    pub(crate) streams: usize,
}

/// All looks of a run.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// Prints how it went, a line for each tenth.
    pub(crate) fn tell(&self) {
        let tenth = self.0.len().div_ceil(10).max(1);
        for sample in self.0.chunks(tenth).filter_map(<[Sample]>::last) {
            println!("{sample:?}");
        }
    }

    #[track_caller]
    pub(crate) fn assert_flat(&self) {
        let third = self.0.len() / 3;
        let (middle, last) = (&self.0[third..2 * third], &self.0[2 * third..]);
        let of = |what: fn(&Sample) -> u64| (median(middle, what), median(last, what));
        let (before, after) = of(|sample| sample.memory_kib);
        println!("memory {before} KiB, then {after} KiB");
        let noise = before / 50 + 1_024;
        assert!(after <= before + noise, "memory: {before} KiB, {after} KiB");
        let (before, after) = of(|sample| u64::try_from(sample.files).unwrap());
        assert!(after <= before + before / 4 + 8, "files: {before}, {after}");
        let (before, after) = of(|sample| u64::try_from(sample.held).unwrap());
        assert!(after <= before + before / 4 + 8, "SVIDs: {before}, {after}");
    }
}

fn median(samples: &[Sample], what: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<_> = samples.iter().map(what).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

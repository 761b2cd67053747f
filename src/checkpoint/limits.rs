//! Every bound that protects the host from a hostile file. Exceeding one is `Error::Refused`.

/// Entries in an archive; torch writes one per storage and about six more.
pub(super) const ENTRIES: usize = 100_000;
/// Bytes read while the zip directory is parsed; this bounds the memory that its entries take.
pub(super) const DIRECTORY_BYTES: u64 = 16 << 20;
/// Bytes of `data.pkl`, inflated.
pub(super) const PICKLE_BYTES: u64 = 256 << 20;
/// Bytes of a storage that is compressed; stored ones are bounded by the file's own length.
pub(super) const INFLATED_STORAGE_BYTES: u64 = 1 << 30;
/// Inflated bytes for each compressed byte of an entry.
pub(super) const COMPRESSION_RATIO: u64 = 1000;
/// Pickle values. Each takes at least one opcode, so they are bounded by the pickle's length as well;
/// the stack has the same bound.
pub(super) const VALUES: usize = 10_000_000;
/// Memo entries.
pub(super) const MEMO: usize = 10_000_000;
/// Bytes that an entry of an archive takes in memory while the archive is open, its name in lists included.
pub(super) const ENTRY_BYTES: u64 = 1 << 10;
/// Bytes that a memo entry takes, with the room that the table keeps.
pub(super) const MEMO_BYTES: u64 = 40;
/// Bytes that the allocator adds to what a value has on the heap.
pub(super) const HEAP_BYTES: u64 = 16;
/// Open MARKs at one time.
pub(super) const MARKS: usize = 1000;
/// Bytes of one integer.
pub(super) const LONG_BYTES: usize = 1024;
/// Bytes of a global's module and name together.
pub(super) const GLOBAL_NAME_BYTES: usize = 1024;
/// Bytes of a string key; longer ones can't be looked up.
pub(super) const KEY_BYTES: usize = 1024;
/// What reductions may copy beyond one pickle length, in items and bytes: copies of memoised values are the
/// only way in which a short pickle could make much data.
pub(super) const COPY_ALLOWANCE: usize = 64 << 10;
/// Numbers of a NumPy array that is read; larger ones are nothing that a model needs.
pub(super) const ARRAY_NUMBERS: usize = 1 << 12;
/// Dimensions of a tensor.
pub(super) const RANK: usize = 16;
/// Elements that a tensor with overlapping elements (stride 0) may have beyond those in its storage.
pub(super) const EXPANDED_ELEMENTS: u64 = 1 << 24;
/// Values of a configuration, how deep it may nest, and what each takes beside its text.
pub(super) const JSON_VALUES: usize = 100_000;
pub(super) const JSON_DEPTH: usize = 16;
pub(super) const JSON_BYTES: u64 = 256;
/// Bytes of a safetensors header: some hundred for each tensor.
pub(super) const SAFETENSORS_HEADER: u64 = 16 << 20;

internal import Bytes
internal import Posix
internal import QueueStore
internal import Storage

/// What one message of a qmail queue is called when it is met again: its number, and the time and size of its content, which qmail never changes. A
/// number alone is used again.
struct SourceIdentity: Hashable {
    let id: UInt64
    let seconds: Int64
    let nanoseconds: Int64
    let size: Int

    init(_ id: UInt64, _ content: borrowing SourceFile) {
        self.id = id
        seconds = content.seconds
        nanoseconds = content.nanoseconds
        size = content.size
    }

    fileprivate var line: String { "\(id) \(seconds) \(nanoseconds) \(size)" }

    fileprivate init?(_ fields: ArraySlice<ArraySlice<UInt8>>) {
        let numbers = fields.compactMap { Int64($0.text) }
        guard numbers.count == 4, numbers[0] >= 0, numbers[3] >= 0 else { return nil }
        (id, seconds, nanoseconds, size) = (UInt64(numbers[0]), numbers[1], numbers[2], Int(numbers[3]))
    }
}

/// Which messages of qmail queues are which of ours: a text file below `queue/import/`, replaced whole, one line a message: number, seconds,
/// nanoseconds and size of qmail's content, our id.
struct ImportLedger {
    enum Name: String {
        /// What is being imported; see ``UnfinishedImport``.
        case plan
        /// What was imported, by all imports so far.
        case done

        fileprivate var path: String { "\(UnfinishedImport.folder)/\(rawValue)" }
    }

    var ids: [SourceIdentity: UInt64] = [:]

    init() {}

    /// Empty when there is no such file.
    init(_ name: Name, in storage: any Storage) throws(QueueImport.Failure) {
        let bytes: [UInt8]
        do throws(SystemError) {
            guard try storage.list(UnfinishedImport.folder).contains(name.rawValue) else { return }
            let file = try storage.open(name.path)
            bytes = try file.read(file.size(), at: 0)
        } catch {
            throw .disk(error)
        }
        for (index, line) in bytes.split(separator: ASCII.lf).enumerated() {
            let fields = line.split(separator: ASCII.space)
            guard fields.count == 5, let identity = SourceIdentity(fields.prefix(4)), let id = parseDecimal(fields[4]) else {
                throw .malformed("queue/\(name.path)", line: index + 1)
            }
            ids[identity] = id
        }
    }

    /// Durable when this returns; cut off before, the old file is there.
    func write(_ name: Name, to storage: any Storage) throws(SystemError) {
        try storage.makeDirectory(UnfinishedImport.folder)
        try storage.syncDirectory("")
        let new = "\(name).new"
        let path = "\(UnfinishedImport.folder)/\(new)"
        if try storage.list(UnfinishedImport.folder).contains(new) { try storage.remove(path) }
        let file = try storage.create(path)
        try file.write(encoded, at: 0)
        try file.sync()
        try storage.rename(path, to: name.path)
        try storage.syncDirectory(UnfinishedImport.folder)
    }

    static func remove(_ name: Name, from storage: any Storage) throws(SystemError) {
        try storage.remove(name.path)
        try storage.syncDirectory(UnfinishedImport.folder)
    }

    private var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for (identity, id) in ids.sorted(by: { $0.value < $1.value }) { bytes += Array("\(identity.line) \(id)\n".utf8) }
        return bytes
    }
}

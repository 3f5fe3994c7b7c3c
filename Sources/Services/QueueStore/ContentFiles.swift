private import Bytes
private import CPosix
private import Glibc
package import Journal
package import JournalFormat
package import Posix
package import Storage

/// Contents too large for the log, one file each below `content/`, named by message id; and the way all contents go to whoever delivers them.
package final class ContentFiles {
    private let storage: any Storage
    private let table: SegmentTable
    private let root: String
    private let writes: WorkThread
    private let reads: WorkThread
    /// Reads of whole large files: they must not hold up those of many small ones.
    private let checks: WorkThread
    /// The largest id that a file here bears, whether its message is known or not. A file must not exist when it is made, so new ids start above:
    /// ``JournalStore/reserveIDs(through:)``.
    package let largestID: UInt64

    package static let folder = "content"
    /// A file up to this size is checked where it is opened.
    private static let quickCheckBytes = 4 << 20

    /// - Parameters:
    ///   - storage: the queue's.
    ///   - root: the path of its folder: what is delivered is opened by name.
    package init(_ storage: any Storage, root: String, _ table: SegmentTable, on loop: EventLoop) throws(SystemError) {
        self.storage = storage
        self.root = root
        self.table = table
        writes = try WorkThread("content-write", on: loop)
        reads = try WorkThread("content-read", on: loop)
        checks = try WorkThread("content-check", on: loop)
        try storage.makeDirectory(Self.folder)
        try storage.syncDirectory("")
        largestID = try storage.list(Self.folder).lazy.compactMap(Self.id).max() ?? 0
    }

    /// Below the queue's folder.
    package static func path(_ id: UInt64) -> String { "\(folder)/\(id)" }

    /// The id in the name of a file that the queue made.
    package static func id(_ name: String) -> UInt64? { UInt64(name).flatMap { $0 <= JournalStore.maxID && String($0) == name ? $0 : nil } }

    // MARK: Writing

    /// A content that is being received.
    package final class Incoming {
        fileprivate let state: Writing
        /// Bytes given and not yet written: what holds the sender back.
        package fileprivate(set) var unwritten = 0
        package fileprivate(set) var length = 0

        fileprivate init(_ state: Writing) { self.state = state }
    }

    /// Used on the writing thread only.
    fileprivate final class Writing: @unchecked Sendable {
        // Sound: created on the loop, then touched by closures of one thread, one after the other.
        let id: UInt64
        var file: (any StorageFile)?
        /// The file is this writing's own; one that was there before is not.
        var isCreated = false
        var offset = 0
        var check = CRC32C()
        var failure: SystemError?
        init(_ id: UInt64) { self.id = id }

        func remove(from storage: any Storage) {
            file = nil
            guard isCreated else { return }
            isCreated = false
            try? storage.remove(ContentFiles.path(id))
        }
    }

    package func begin(_ id: UInt64) -> Incoming {
        let writing = Writing(id)
        let storage = storage
        writes.run(
            {
                do throws(SystemError) {
                    writing.file = try storage.create(Self.path(id))
                    writing.isCreated = true
                } catch {
                    writing.failure = error
                }
            }, then: { _ in })
        return Incoming(writing)
    }

    /// - Parameter written: called when the bytes no longer take memory.
    package func append(_ bytes: [UInt8], to incoming: Incoming, written: @escaping () -> Void) {
        incoming.unwritten += bytes.count
        incoming.length += bytes.count
        let writing = incoming.state
        writes.run(
            {
                guard writing.failure == nil, let file = writing.file else { return }
                do throws(SystemError) {
                    try file.write(bytes, at: writing.offset)
                    writing.offset += bytes.count
                    writing.check.update(bytes)
                } catch {
                    writing.failure = error
                }
            },
            then: { _ in
                incoming.unwritten -= bytes.count
                written()
            })
    }

    /// Makes the content durable: file, and its directory's entry.
    package func finish(_ incoming: Incoming, _ completion: @escaping (Result<ContentReference, SystemError>) -> Void) {
        let writing = incoming.state
        let storage = storage
        writes.run(
            { () -> Result<ContentReference, SystemError> in
                defer { writing.file = nil }
                do throws(SystemError) {
                    if let failure = writing.failure { throw failure }
                    try writing.file?.sync()
                    try storage.syncDirectory(Self.folder)
                    return .success(.file(length: UInt64(writing.offset), check: writing.check.value))
                } catch {
                    writing.remove(from: storage)
                    return .failure(error)
                }
            }, then: completion)
    }

    package func abort(_ incoming: Incoming) {
        let writing = incoming.state
        let storage = storage
        writes.run({ writing.remove(from: storage) }, then: { _ in })
    }

    /// The message left the queue, durably.
    package func remove(_ id: UInt64) {
        let storage = storage
        writes.run({ try? storage.remove(Self.path(id)) }, then: { _ in })
    }

    /// Files that no message refers to: sessions that a crash cut off, and messages that ended just before one.
    package func removeOrphans(_ isAlive: (UInt64) -> Bool) throws(SystemError) -> Int {
        var count = 0
        for name in try storage.list(Self.folder) {
            guard let id = Self.id(name), !isAlive(id) else { continue }
            try storage.remove("\(Self.folder)/\(name)")
            count += 1
        }
        return count
    }

    // MARK: Reading

    /// What a delivery is handed: exactly one message.
    package enum Opened: Sendable {
        /// A memory file, sealed; each receiver gets a descriptor of its own by ``reopen(_:)``.
        case descriptor(Int32)
        /// The content does not check, or cannot be read.
        case damaged(String)
    }

    /// Opens a message for delivery, off the loop. The descriptor in the answer is the caller's to close.
    ///
    /// - Parameter isChecked: a content file was read and found whole before.
    package func open(_ id: UInt64, _ content: ContentReference, isChecked: Bool, _ completion: @escaping (Opened) -> Void) {
        let (table, path) = (table, "\(root)/\(Self.path(id))")
        let isLong = if case .file = content { !isChecked && content.length > Self.quickCheckBytes } else { false }
        (isLong ? checks : reads).run(
            {
                switch content {
                case .inline:
                    guard let bytes = table.content(content) else { return .damaged("content in the log does not check") }
                    return ContentFiles.memoryFile(bytes)
                case .file(let length, let check): return ContentFiles.openFile(path, length, isChecked ? nil : check)
                }
            }, then: completion)
    }

    /// At most `limit` bytes from the front of a message; nil when it is damaged.
    package func read(_ id: UInt64, _ content: ContentReference, limit: Int, _ completion: @escaping ([UInt8]?) -> Void) {
        let (table, storage) = (table, storage)
        reads.run(
            { () -> [UInt8]? in
                switch content {
                case .inline: return table.content(content).map { Array($0.prefix(limit)) }
                case .file: return try? storage.open(Self.path(id)).read(min(limit, content.length), at: 0)
                }
            }, then: completion)
    }

    private static func memoryFile(_ bytes: [UInt8]) -> Opened {
        let descriptor = martlet_memory_file("message")
        guard descriptor >= 0 else { return .damaged("no memory file: \(errorText(errno))") }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                defer { close(descriptor) }
                return .damaged("memory file: \(errorText(errno))")
            }
            done += count
        }
        guard martlet_seal(descriptor) == 0 else {
            defer { close(descriptor) }
            return .damaged("memory file: \(errorText(errno))")
        }
        return .descriptor(descriptor)
    }

    private static func openFile(_ path: String, _ length: UInt64, _ check: UInt32?) -> Opened {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
            if let check, try !isWhole(file, length, check) { return .damaged("\(path) does not check") }
            return .descriptor(file.release())
        } catch {
            return .damaged("\(error)")
        }
    }

    private static func isWhole(_ file: borrowing FileDescriptor, _ length: UInt64, _ check: UInt32) throws(SystemError) -> Bool {
        var computed = CRC32C()
        var offset = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let raw = file.raw
            let count = try Posix.check("read") { buffer.withUnsafeMutableBytes { pread(raw, $0.baseAddress, $0.count, off_t(offset)) } }
            if count == 0 { return UInt64(offset) == length && computed.value == check }
            computed.update(buffer[..<count])
            offset += count
        }
    }

    /// A read-only descriptor of the same content with an offset of its own.
    package static func reopen(_ descriptor: Int32) throws(SystemError) -> FileDescriptor {
        try FileDescriptor.open("/proc/self/fd/\(descriptor)", O_RDONLY)
    }
}

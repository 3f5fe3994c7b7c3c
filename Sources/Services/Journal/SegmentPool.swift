private import Glibc
package import Posix
internal import Storage
private import Synchronization

/// Segment files that wait for use: written once with zeros, or recycled. First in, first out: of two recycled files the older content goes first,
/// so that a crash never leaves a segment without one that followed it.
package final class SegmentPool: Sendable {
    private struct State {
        var files: [(name: String, file: any StorageFile)] = []
        var lastName: UInt64 = 0
        var lastFailure: SystemError?
    }

    private let storage: any Storage
    private let segmentSize: Int
    private let state = Mutex(State())

    static let folder = "journal"
    private static let syncBytes = 4 << 20
    private static let zeros = [UInt8](repeating: 0, count: 1 << 20)
    /// Segments that must still fit on the disk beside the one being made: mailboxes often stand on the same disk, and deliveries are what empties
    /// the queue.
    private static let marginSegments = 1

    init(_ storage: any Storage, segmentSize: Int) {
        self.storage = storage
        self.segmentSize = segmentSize
    }

    package var count: Int { state.withLock { $0.files.count } }

    /// Why the last ``prepare()`` failed, nil when it did not.
    package var lastFailure: SystemError? { state.withLock { $0.lastFailure } }

    /// Names given to files so far; recovery tells what exists.
    func reserveName(_ number: UInt64) { state.withLock { $0.lastName = max($0.lastName, number) } }

    func put(_ name: String, _ file: any StorageFile) { state.withLock { $0.files.append((name, file)) } }

    func take() -> (name: String, file: any StorageFile)? { state.withLock { $0.files.isEmpty ? nil : $0.files.removeFirst() } }

    /// Whether a file fits on the disk beside the margin, or at all when the pool is empty: the outcomes of deliveries need it. Cheap: nothing is
    /// written.
    package func hasSpace() throws(SystemError) -> Bool {
        let margin = count == 0 ? 0 : Self.marginSegments
        return try storage.freeBytes() >= segmentSize * (1 + margin)
    }

    /// Makes one more file: zeros, synced, and its directory entry too. Slow; runs on a thread of its own. Takes of the margin if there is nothing
    /// else, but does not begin what cannot fit.
    package func prepare() throws(SystemError) {
        guard try storage.freeBytes() >= segmentSize else {
            let error = SystemError(call: "write", subject: "queue/\(Self.folder)", errno: ENOSPC)
            state.withLock { $0.lastFailure = error }
            throw error
        }
        let number = state.withLock { state in
            state.lastName += 1
            return state.lastName
        }
        let name = String(number)
        do throws(SystemError) {
            let file = try storage.create("\(Self.folder)/\(name)")
            try fill(file)
            try storage.syncDirectory(Self.folder)
            put(name, file)
            state.withLock { $0.lastFailure = nil }
        } catch {
            // What was made so far only takes room.
            try? storage.remove("\(Self.folder)/\(name)")
            state.withLock { $0.lastFailure = error }
            throw error
        }
    }

    private func fill(_ file: any StorageFile) throws(SystemError) {
        var offset = 0
        while offset < segmentSize {
            let count = min(Self.zeros.count, segmentSize - offset)
            try file.write(count == Self.zeros.count ? Self.zeros : Array(Self.zeros[..<count]), at: offset)
            offset += count
            // In small portions: a sync of mail must not wait behind a whole segment of zeros.
            if offset % Self.syncBytes == 0 { try file.sync() }
        }
        try file.sync()
    }

    /// Gives disk space back: the last file of the pool goes.
    func shrink() {
        guard let last = state.withLock({ $0.files.popLast() }) else { return }
        try? storage.remove("\(Self.folder)/\(last.name)")
    }
}

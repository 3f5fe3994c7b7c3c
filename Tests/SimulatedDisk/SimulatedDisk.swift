package import Posix
package import Storage
private import Synchronization

/// A disk in memory with the worst manners that the interface allows. Until a sync, a write may or may not be on it, whole or by single sectors,
/// in any order; until a sync of the directory, an entry may or may not be there. It can fail, fill up, and lose power in the middle of any call.
package final class SimulatedDisk: Storage {
    package struct Manners: Sendable {
        /// Chance in 10,000 that a sync fails. What it was to cover is lost then, though reads still show it until power goes.
        package var syncFailures = 0
        /// Chance in 10,000 that a write fails after some sectors.
        package var writeFailures = 0
        /// Chance in 10,000 that a read fails; the next may succeed.
        package var readFailures = 0
        /// Bytes that fit.
        package var capacity = Int.max
        /// Calls until power goes; nil: never.
        package var powerFor: Int?

        package init() {}
    }

    /// What tears: a write is on the disk sector by sector.
    static let sector = 512

    final class Inode {
        /// What is on the disk for certain.
        var durable: [UInt8] = []
        /// What reads show.
        var current: [UInt8] = []
        /// Since the last sync.
        var pending: [(offset: Int, bytes: [UInt8])] = []
    }

    enum Entry {
        case link(String, Inode)
        case unlink(String)
        case rename(String, String)
    }

    struct State {
        var random: SplitMix
        var manners = Manners()
        var names: [String: Inode] = [:]
        var durableNames: [String: Inode] = [:]
        /// By directory, since its last sync.
        var pendingEntries: [(directory: String, entry: Entry)] = []
        var isDown = false
        var calls = 0
    }

    // One test owns a disk and uses it from one thread; the lock only says so to the compiler.
    private let state: Mutex<Box>
    private struct Box: @unchecked Sendable { var state: State }

    package init(seed: UInt64) { state = Mutex(Box(state: State(random: SplitMix(seed)))) }

    func with<Result>(_ body: (inout State) throws(SystemError) -> Result) throws(SystemError) -> Result {
        var outcome: Swift.Result<Result, SystemError>?
        state.withLock { box in
            do throws(SystemError) { outcome = .success(try body(&box.state)) } catch { outcome = .failure(error) }
        }
        guard let outcome else { throw SystemError(call: "simulated", subject: "", errno: 5) }
        return try outcome.get()
    }

    package func set(_ manners: Manners) { state.withLock { $0.state.manners = manners } }
    package var isDown: Bool { state.withLock { $0.state.isDown } }
    /// Calls so far: where a power cut can be placed.
    package var calls: Int { state.withLock { $0.state.calls } }

    /// Power goes, and comes back: only what was durable, and what the disk happened to have written, is there.
    package func cutPower() { state.withLock { $0.state.settle() } }

    /// Flips a bit of what is on the disk.
    package func damage(_ path: String, at offset: Int) {
        state.withLock { box in
            guard let inode = box.state.names[path], offset < inode.current.count else { return }
            inode.current[offset] ^= 0x40
            if offset < inode.durable.count { inode.durable[offset] ^= 0x40 }
        }
    }

    package func content(_ path: String) -> [UInt8]? { state.withLock { $0.state.names[path]?.current } }

    // MARK: Storage

    package func list(_ directory: String) throws(SystemError) -> [String] {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            return state.names.keys.filter { Self.directory(of: $0) == directory }.map { String($0.dropFirst(directory.count + 1)) }.sorted()
        }
    }

    package func makeDirectory(_ path: String) throws(SystemError) { try with { (state) throws(SystemError) in try state.spendCall() } }

    package func create(_ path: String) throws(SystemError) -> any StorageFile {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            guard state.names[path] == nil else { throw SystemError(call: "open", subject: path, errno: 17) }
            let inode = Inode()
            state.names[path] = inode
            state.pendingEntries.append((Self.directory(of: path), .link(path, inode)))
            return SimulatedFile(self, inode, path)
        }
    }

    package func open(_ path: String) throws(SystemError) -> any StorageFile {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            guard let inode = state.names[path] else { throw SystemError(call: "open", subject: path, errno: 2) }
            return SimulatedFile(self, inode, path)
        }
    }

    package func rename(_ path: String, to newPath: String) throws(SystemError) {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            guard let inode = state.names.removeValue(forKey: path) else { throw SystemError(call: "rename", subject: path, errno: 2) }
            state.names[newPath] = inode
            state.pendingEntries.append((Self.directory(of: path), .rename(path, newPath)))
        }
    }

    package func remove(_ path: String) throws(SystemError) {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            guard state.names.removeValue(forKey: path) != nil else { throw SystemError(call: "unlink", subject: path, errno: 2) }
            state.pendingEntries.append((Self.directory(of: path), .unlink(path)))
        }
    }

    package func freeBytes() throws(SystemError) -> Int {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            return state.manners.capacity - state.usedBytes
        }
    }

    package func syncDirectory(_ path: String) throws(SystemError) {
        try with { (state) throws(SystemError) in
            try state.spendCall()
            for pending in state.pendingEntries where pending.directory == path { state.apply(pending.entry) }
            state.pendingEntries.removeAll { $0.directory == path }
        }
    }

    static func directory(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }
}

extension SimulatedDisk.State {
    /// Every call may be the one in which power goes.
    mutating func spendCall() throws(SystemError) {
        calls += 1
        if let left = manners.powerFor {
            if left <= 0 { isDown = true }
            manners.powerFor = left - 1
        }
        if isDown { throw SystemError(call: "simulated", subject: "no power", errno: 5) }
    }

    mutating func apply(_ entry: SimulatedDisk.Entry) {
        switch entry {
        case .link(let path, let inode): durableNames[path] = inode
        case .unlink(let path): durableNames[path] = nil
        case .rename(let from, let to):
            if let inode = durableNames.removeValue(forKey: from) { durableNames[to] = inode }
        }
    }

    /// After a power cut: each unsynced thing is there or not.
    mutating func settle() {
        for pending in pendingEntries where random.chance(1, in: 2) { apply(pending.entry) }
        pendingEntries = []
        // In the order of names: a seed must repeat its run.
        var inodes = names.sorted { $0.key < $1.key }.map(\.value)
        for (_, inode) in durableNames.sorted(by: { $0.key < $1.key }) where !inodes.contains(where: { $0 === inode }) { inodes.append(inode) }
        for inode in inodes { settle(inode) }
        names = durableNames
        isDown = false
        manners = SimulatedDisk.Manners()
    }

    private mutating func settle(_ inode: SimulatedDisk.Inode) {
        let mood = Int.random(in: 0..<4, using: &random)
        for write in inode.pending {
            switch mood {
            case 0: continue
            case 1: inode.durable.overlay(write.bytes, at: write.offset)
            default: persistSomeSectors(of: write, in: inode)
            }
        }
        inode.pending = []
        inode.current = inode.durable
    }

    mutating func persistSomeSectors(of write: (offset: Int, bytes: [UInt8]), in inode: SimulatedDisk.Inode) {
        var start = 0
        while start < write.bytes.count {
            let end = min(start + SimulatedDisk.sector - (write.offset + start) % SimulatedDisk.sector, write.bytes.count)
            if random.chance(1, in: 2) { inode.durable.overlay(Array(write.bytes[start..<end]), at: write.offset + start) }
            start = end
        }
    }

    var usedBytes: Int { names.values.reduce(0) { $0 + $1.current.count } }
}

extension [UInt8] {
    mutating func overlay(_ bytes: [UInt8], at offset: Int) {
        if count < offset + bytes.count { append(contentsOf: repeatElement(0, count: offset + bytes.count - count)) }
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
}

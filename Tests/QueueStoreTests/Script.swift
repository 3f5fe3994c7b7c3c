import Addresses
import Glibc
import Journal
import JournalFormat
import Posix
import QueueStore
import SimulatedDisk
import Storage
import Synchronization
import TemporaryFolder
import Testing

/// Steps on one loop: each begins when what the step before waits for is there.
final class Script {
    let loop: EventLoop
    private var steps: [(body: () throws -> Void, until: () -> Bool)] = []
    private var failure: (any Error)?
    private static let limitSeconds = 60.0
    private static let lookSeconds = 0.002

    init() throws { loop = try EventLoop() }

    func step(_ body: @escaping () throws -> Void, until: @escaping () -> Bool = { true }) { steps.append((body, until)) }

    /// Fails the test when a step does not come to its end.
    func run(_ location: SourceLocation = #_sourceLocation) throws {
        loop.atEndOfTurn { [self] in begin(0) }
        var isLate = false
        loop.after(seconds: Script.limitSeconds) { [loop] in
            isLate = true
            loop.stop()
        }
        loop.run()
        #expect(!isLate, "a step waited without end", sourceLocation: location)
        if let failure { throw failure }
    }

    private func begin(_ number: Int) {
        guard number < steps.count else { return loop.stop() }
        do {
            try steps[number].body()
        } catch {
            failure = error
            return loop.stop()
        }
        look(number)
    }

    private func look(_ number: Int) {
        if steps[number].until() { return begin(number + 1) }
        loop.after(seconds: Script.lookSeconds) { [self] in look(number) }
    }
}

extension TemporaryFolder {
    var disk: Disk { Disk(path) }

    func bytes(_ name: String) throws -> [UInt8] {
        let file = try disk.open(name)
        return try file.read(file.size(), at: 0)
    }
}

/// A disk whose syncs take their time, and which can refuse to take a single byte though it says that there is room.
final class TroubledDisk: Storage {
    struct Trouble {
        var syncMicroseconds: UInt32 = 0
        var writesFail = false
        var syncs = 0
        var creations = 0
    }

    private let disk: any Storage
    let trouble = Mutex(Trouble())

    init(_ disk: any Storage) { self.disk = disk }

    func list(_ directory: String) throws(SystemError) -> [String] { try disk.list(directory) }
    func makeDirectory(_ path: String) throws(SystemError) { try disk.makeDirectory(path) }
    func create(_ path: String) throws(SystemError) -> any StorageFile {
        trouble.withLock { $0.creations += 1 }
        return TroubledFile(try disk.create(path), self)
    }
    func open(_ path: String) throws(SystemError) -> any StorageFile { TroubledFile(try disk.open(path), self) }
    func rename(_ path: String, to newPath: String) throws(SystemError) { try disk.rename(path, to: newPath) }
    func remove(_ path: String) throws(SystemError) { try disk.remove(path) }
    func freeBytes() throws(SystemError) -> Int { try disk.freeBytes() }
    func syncDirectory(_ path: String) throws(SystemError) { try disk.syncDirectory(path) }
}

private final class TroubledFile: StorageFile {
    private let file: any StorageFile
    private let disk: TroubledDisk

    init(_ file: any StorageFile, _ disk: TroubledDisk) {
        self.file = file
        self.disk = disk
    }

    func size() throws(SystemError) -> Int { try file.size() }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        if disk.trouble.withLock({ $0.writesFail }) { throw SystemError(call: "write", subject: "", errno: ENOSPC) }
        try file.write(bytes, at: offset)
    }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int { try file.read(into: buffer, at: offset) }
    func sync() throws(SystemError) {
        let pause = disk.trouble.withLock {
            $0.syncs += 1
            return $0.syncMicroseconds
        }
        if pause > 0 { usleep(pause) }
        try file.sync()
    }
}

/// A store on a disk, with what was answered.
final class Store {
    let store: JournalStore
    let index: QueueIndex
    var durable: [UInt64: Placement] = [:]
    var refused: [UInt64: Journal.Failure] = [:]

    static let parameters: Journal.Parameters = {
        var parameters = Journal.Parameters()
        parameters.segmentSize = 64 << 10
        return parameters
    }()

    init(_ disk: any Storage, on loop: EventLoop) throws {
        (store, index, _) = try JournalStore.open(disk, Self.parameters, on: loop) { randomBytes(16) }
    }

    static func content(_ id: UInt64) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: 3000) }

    static func record(_ id: UInt64) -> MessageRecord {
        MessageRecord(
            id: id, birth: 1, qp: id, uid: 1, sender: Array("s@x.example".utf8),
            recipients: PackedRecipients(grouping: [(Array("r@y.example".utf8), .remote)]), nextLocal: 0, nextRemote: 0, failures: FailureTexts(),
            content: .inline(segment: 0, offset: 0, length: 0, check: 0))
    }

    @discardableResult
    func accept(then: @escaping () -> Void = {}) -> UInt64 {
        let id = store.takeID()
        store.submit(.accept(Self.record(id), content: Self.content(id)), under: store.lease) { [self] answer in
            switch answer {
            case .durable(let placement): durable[id] = placement
            case .refused(let failure): refused[id] = failure
            case .unknown, .leaseLost: Issue.record("\(answer)")
            }
            then()
        }
        return id
    }

    /// The preparer has all that it wants: nothing goes on in the background.
    var isQuiet: Bool {
        store.syncNow()
        return !store.hasUnanswered && store.log.freeSegments >= Self.parameters.reservedSegments + 2
    }
}

import Bytes
import Glibc
import Journal
import JournalFormat
import Posix
import QueueStore
import SimulatedDisk
import Storage
import TemporaryFolder
import Testing

@Suite struct ContentFilesTests {
    private let folder = TemporaryFolder()

    private func start(_ script: Script) throws -> (ContentFiles, Store) {
        let store = try Store(folder.disk, on: script.loop)
        return (try ContentFiles(folder.disk, root: folder.path, store.store.contents, on: script.loop), store)
    }

    private func take(_ opened: ContentFiles.Opened?) -> [UInt8]? {
        guard case .descriptor(let raw) = opened else { return nil }
        let file = FileDescriptor(owning: raw)
        var bytes = [UInt8](repeating: 0, count: 16 << 20)
        let count = bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
        return Array(bytes.prefix(max(0, count)))
    }

    private static func isDamaged(_ opened: ContentFiles.Opened?) -> Bool { if case .damaged = opened { true } else { false } }

    /// Small ones are checked where they are opened, large ones elsewhere.
    @Test(arguments: [0, 1, 100_000, 5 << 20])
    func aContentComesBackAsItWasAndDamageIsFound(_ length: Int) throws {
        let script = try Script()
        let (files, _) = try start(script)
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var reference: ContentReference?
        var written = 0
        let incoming = files.begin(5)
        script.step(
            {
                for start in stride(from: 0, to: length, by: 70_000) {
                    let piece = Array(content[start..<min(start + 70_000, length)])
                    files.append(piece, to: incoming) { written += piece.count }
                }
                files.finish(incoming) { reference = try? $0.get() }
            }, until: { reference != nil })
        var opened: ContentFiles.Opened?
        script.step({ files.open(5, try #require(reference), isChecked: false) { opened = $0 } }, until: { opened != nil })
        script.step {
            #expect(written == length)
            #expect(take(opened) == content)
            opened = nil
            var damaged = content
            if length > 0 { damaged[length / 2] ^= 1 } else { damaged = [0] }
            folder.write("content/5", damaged)
        }
        script.step({ files.open(5, try #require(reference), isChecked: false) { opened = $0 } }, until: { opened != nil })
        script.step {
            #expect(Self.isDamaged(opened))
            opened = nil
        }
        script.step({ files.open(5, try #require(reference), isChecked: true) { opened = $0 } }, until: { opened != nil })
        script.step { #expect(take(opened) != nil) }
        try script.run()
    }

    @Test func aFileThatWasThereBeforeIsNeitherWrittenNorRemoved() throws {
        let script = try Script()
        let (files, _) = try start(script)
        folder.write("content/7", [1, 2, 3])
        var failure: SystemError?
        let incoming = files.begin(7)
        files.append([9, 9], to: incoming) {}
        script.step(
            { files.finish(incoming) { if case .failure(let error) = $0 { failure = error } } }, until: { failure != nil })
        var isDone = false
        script.step(
            {
                files.abort(files.begin(7))
                files.finish(files.begin(8)) { _ in isDone = true }
            }, until: { isDone })
        try script.run()
        #expect(failure?.errno == EEXIST)
        #expect(try folder.bytes("content/7") == [1, 2, 3])
    }

    @Test func whatIsAbortedLeavesNothing() throws {
        let script = try Script()
        let (files, _) = try start(script)
        var isDone = false
        script.step(
            {
                let incoming = files.begin(3)
                files.append([1], to: incoming) {}
                files.abort(incoming)
                files.finish(files.begin(4)) { _ in isDone = true }
            }, until: { isDone })
        try script.run()
        #expect(folder.names("content") == ["4"])
    }

    @Test func aFullDiskFailsTheMessageAndKeepsNothing() throws {
        let disk = SimulatedDisk(seed: 3)
        let script = try Script()
        let store = try Store(disk, on: script.loop)
        let files = try ContentFiles(disk, root: "", store.store.contents, on: script.loop)
        script.step({}, until: { store.isQuiet })
        var failure: SystemError?
        script.step(
            {
                var manners = SimulatedDisk.Manners()
                manners.capacity = 0
                disk.set(manners)
                let incoming = files.begin(6)
                files.append([1, 2, 3], to: incoming) {}
                files.finish(incoming) { if case .failure(let error) = $0 { failure = error } }
            }, until: { failure != nil })
        try script.run()
        #expect(failure?.errno == ENOSPC)
        #expect(try disk.list("content") == [])
    }

    @Test func orphansGoAndTheirIDsAreKnown() throws {
        let disk = folder.disk
        try disk.makeDirectory("content")
        for name in ["40", "41", "7", "0900", "x", "99999999999999999999"] { folder.write("content/\(name)", [0]) }
        let script = try Script()
        let (files, store) = try start(script)
        #expect(files.largestID == 41)
        store.store.reserveIDs(through: files.largestID)
        #expect(store.store.takeID() == 42)
        #expect(try files.removeOrphans { $0 == 40 } == 2)
        #expect(folder.names("content") == ["0900", "40", "99999999999999999999", "x"])
    }
}

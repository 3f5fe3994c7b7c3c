import Bytes
import FrameChannels
import Frames
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// The client end of a boundary: it is there again whenever the other side is, and says what it lost.
@Suite(.timeLimit(.minutes(1))) struct FrameClientTests {
    @Test func framesGoBothWaysAndTheConnectionComesBack() throws {
        let folder = try TemporarySocketFolder()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let heard = Mutex<[String]>([])
        let loop = group.next()
        // Nobody listens yet.
        let client = try loop.submit {
            let client = FrameClient(folder.path, on: loop, maxLength: 64)
            client.events.connected = { heard.withLock { $0.append("connected") } }
            client.events.frame = { frame in heard.withLock { $0.append("frame \(frame.type) \(frame.payload.text)") } }
            client.events.disconnected = { heard.withLock { $0.append("disconnected") } }
            client.start()
            return NIOLoopBound(client, eventLoop: loop)
        }.wait()
        func send(_ type: UInt8, _ count: Int) throws {
            try loop.submit {
                for number in 0..<count { client.value.send { $0.append(frame: type) { $0.append(UInt8(number)) } } }
            }.wait()
        }
        try send(1, 1)  // dropped: there is no connection

        for round in 1...2 {
            let listener = try folder.listen()
            let peer = accept(listener, nil, nil)
            #expect(peer >= 0)
            wait(until: { heard.withLock { $0.last } == "connected" })
            // What is sent in one turn arrives in one read.
            try send(2, 3)
            #expect(receive(peer) == [2, 0, 0, 0, 2, 0, 2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 2, 2])
            transmit(peer, [3, 0, 0, 0, 7])
            transmit(peer, [0x68, 0x69])
            wait(until: { heard.withLock { $0.last } == "frame 7 hi" })
            if round == 1 {
                // The other side dies.
                close(peer)
            } else {
                // It sends what no frame may be: the connection is dropped.
                transmit(peer, [0xFF, 0xFF, 0xFF, 0x7F])
                #expect(receive(peer) == [])
                close(peer)
            }
            close(listener)
            wait(until: { heard.withLock { $0.last } == "disconnected" })
        }
        try loop.submit { client.value.stop() }.wait()
        #expect(heard.withLock { $0 } == ["connected", "frame 7 hi", "disconnected", "connected", "frame 7 hi", "disconnected"])
    }

    @Test func aPeerThatDoesNotReadMakesItUnwritable() throws {
        let folder = try TemporarySocketFolder()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let loop = group.next()
        let writable = Atomic(false)
        let listener = try folder.listen()
        let client = try loop.submit {
            let client = FrameClient(folder.path, on: loop, maxLength: 64)
            client.events.writable = { writable.store(true, ordering: .relaxed) }
            client.start()
            return NIOLoopBound(client, eventLoop: loop)
        }.wait()
        let peer = accept(listener, nil, nil)
        wait(until: { (try? loop.submit { client.value.isConnected }.wait()) == true })
        let block = [UInt8](repeating: 0, count: 1 << 16)
        for _ in 0..<40 { try loop.submit { client.value.send { $0.append(frame: 1) { $0.append(contentsOf: block) } } }.wait() }
        wait(until: { (try? loop.submit { client.value.isWritable }.wait()) == false })
        var left = 40 * (block.count + 5)
        while left > 0 {
            let part = receive(peer).count
            guard part > 0 else { break }
            left -= part
        }
        #expect(left == 0)
        wait(until: { writable.load(ordering: .relaxed) })
        close(peer)
        close(listener)
        try loop.submit { client.value.stop() }.wait()
    }

    private func receive(_ peer: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(peer, &buffer, buffer.count)
        return Array(buffer.prefix(max(0, count)))
    }

    private func transmit(_ peer: Int32, _ bytes: [UInt8]) { #expect(write(peer, bytes, bytes.count) == bytes.count) }

    /// Up to ten seconds.
    private func wait(until condition: () -> Bool) {
        for _ in 0..<1000 where !condition() { usleep(10_000) }
        #expect(condition())
    }
}

/// Where a socket can stand, removed at the end.
final class TemporarySocketFolder: Sendable {
    let path: String
    private let folder: String

    struct Failure: Error {}

    init() throws {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure() }
        folder = String(cString: made)
        path = "\(folder)/socket"
    }

    func listen() throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        unlink(path)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard bound == 0, Glibc.listen(descriptor, 8) == 0 else { throw Failure() }
        return descriptor
    }

    deinit {
        unlink(path)
        rmdir(folder)
    }
}

private import Glibc
private import Posix

/// A pipe to or from a child; the ends that are not closed yet are closed at the end of its life.
///
/// Both ends reach the children that other threads start at that moment, which close what is not theirs before they run anything.
final class Pipe {
    private(set) var reading: Int32 = -1
    private(set) var writing: Int32 = -1

    init() throws(Undeliverable) {
        var ends: [Int32] = [-1, -1]
        let result = ends.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.map { pipe($0) } ?? -1 }
        guard result == 0 else { throw .deferred("Unable to fork: \(errorText(errno)). (#4.3.0)\n") }
        reading = ends[0]
        writing = ends[1]
    }

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    deinit {
        closeReading()
        closeWriting()
    }
}

private import CPosix
private import Glibc
internal import Posix

/// A program whose descriptor 0 is some lines and then our own input, to its end.
enum FedChild {
    enum Failure: Error {
        case starting(SystemError)
        /// It does not take all, or our input cannot be read.
        case copying(SystemError)
    }

    /// - Parameter mayStopReading: whether the child's own end says enough when it does not take all.
    static func run(_ arguments: [[UInt8]], after lines: [UInt8], mayStopReading: Bool) throws(Failure) -> ChildEnd {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [-1, -1]
        let pid: Int32
        do throws(SystemError) {
            try check("pipe") { pipe(&ends) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            let reader = FileDescriptor(owning: ends[0])
            pid = try Child.start(arguments, descriptors: [0: reader.raw])
        } catch { throw .starting(error) }
        do throws(SystemError) {
            try copy(lines, to: FileDescriptor(owning: ends[1]))
        } catch {
            guard mayStopReading, error.errno == EPIPE else { throw .copying(error) }
        }
        do throws(SystemError) { return try ChildEnd(of: pid) } catch { throw .copying(error) }
    }

    /// Closes it then: that is the end of the child's input.
    private static func copy(_ lines: [UInt8], to writer: consuming FileDescriptor) throws(SystemError) {
        try write(lines[...], to: writer)
        var input = Input(0)
        while let chunk = try next(&input) { try write(chunk, to: writer) }
    }

    private static func next(_ input: inout Input) throws(SystemError) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) { return try input.chunk() } catch { throw SystemError(call: "read", subject: "", errno: error.errno) }
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to writer: borrowing FileDescriptor) throws(SystemError) {
        guard writeAll(bytes, to: writer.raw) else { throw SystemError(call: "write", subject: "", errno: errno) }
    }
}

private import Glibc
internal import MailboxStorage
private import Posix

/// A command of a user's `.qmail`: the one place where a shell is run, as that user, with the message on its descriptor 0 (spec-qmail §7.5).
struct UserProgram {
    private let program: ChildProgram

    init(_ command: [UInt8], _ environment: [[UInt8]], home: [UInt8]) {
        let shell = Array("/bin/sh".utf8)
        program = ChildProgram(path: shell, arguments: [shell, Array("-c".utf8), command], environment: environment, directory: home)
    }

    /// Waits until it has ended and nobody holds its output any longer, however long that takes.
    func run(_ message: MessageContent, _ output: inout [UInt8]) throws(Undeliverable) -> ChildProgram.End {
        let input = try UserProgram.input(message)
        let pipe = try Pipe()
        let pid = try start(input, pipe)
        pipe.closeWriting()
        UserProgram.collect(pipe.reading, &output)
        do throws(SystemError) {
            return try ChildProgram.wait(pid)
        } catch {
            throw .deferred("Aack, child crashed. (#4.3.0)\n")
        }
    }

    private static func input(_ message: MessageContent) throws(Undeliverable) -> FileDescriptor {
        do throws(SystemError) {
            return try message.openForProgram()
        } catch {
            throw .deferred("Unable to rewind message. (#4.3.0)\n")
        }
    }

    private func start(_ input: borrowing FileDescriptor, _ pipe: Pipe) throws(Undeliverable) -> Int32 {
        do throws(SystemError) {
            return try program.start([input.raw, pipe.writing, pipe.writing])
        } catch {
            throw .deferred("Unable to run /bin/sh: \(error.reason). (#4.3.0)\n")
        }
    }

    /// Beyond what a report may hold it is read and dropped.
    private static func collect(_ pipe: Int32, _ output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            while true {
                let count = read(pipe, buffer.baseAddress, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                if output.count <= DeliveryText.maxBytes { output.append(contentsOf: buffer[..<count]) }
            }
        }
    }
}

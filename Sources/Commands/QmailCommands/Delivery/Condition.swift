private import Bytes
private import Posix

/// A program's opinion of the message on descriptor 0: what bouncesaying, condredirect and except ask for (qmail §12.2).
enum Condition {
    enum Answer: Equatable {
        /// It exited 0.
        case holds
        /// It exited with something else, or cannot be run.
        case fails
        /// Nothing is known: the exit code to end with; the complaint is written.
        case unknown(Int32)
    }

    /// - Parameter applet: whose complaint it would be.
    static func ask(_ program: [[UInt8]], for applet: String) -> Answer {
        do throws(SystemError) {
            switch try ChildEnd(of: try Child.start(program)) {
            case .exited(0): return .holds
            case .exited(ExitCode.temporary): break
            case .exited: return .fails
            case .killed: return .unknown(fatal(applet, "child crashed", ExitCode.temporary))
            }
        } catch {
            if !error.isTemporary { return .fails }
        }
        return .unknown(fatal(applet, "temporary child error", ExitCode.temporary))
    }
}

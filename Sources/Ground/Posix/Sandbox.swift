private import CPosix
private import Glibc

/// A process that locks itself in, for good.
package enum Sandbox {
    package enum Confinement: Equatable, Sendable {
        /// Files below the directory alone, no programs; no network, no signals to others.
        case whole
        /// An older kernel's Landlock, of this version: files as above, but not all of the rest.
        case partial(Int)
        /// The kernel has none that would do.
        case none(SystemError)
    }

    /// The Landlock version from which ``Confinement/whole`` is.
    private static let wholeVersion: Int32 = 6

    /// Confines this process to its working directory. It has one thread: others would stay free. Sockets with a name in the file system can still be
    /// connected to, as far as their directories' modes let it.
    package static func confineToWorkingDirectory() -> Confinement {
        let directory: FileDescriptor
        do throws(SystemError) { directory = try FileDescriptor.open(".", martlet_o_path | O_DIRECTORY) } catch { return .none(error) }
        let version = martlet_confine(directory.raw)
        guard version > 0 else { return .none(SystemError(call: "landlock", subject: "", errno: -version)) }
        return version >= wholeVersion ? .whole : .partial(Int(version))
    }
}

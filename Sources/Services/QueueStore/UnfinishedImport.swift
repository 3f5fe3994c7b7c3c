package import Posix
package import Storage

/// An import of another system's queue that was cut off. What it has put into the log is known by the plan alone, and only as long as nothing leaves
/// the log: so no queue runs while there is a plan (docs/decisions/0013-import.md).
package enum UnfinishedImport {
    /// Below the queue's folder.
    package static let folder = "import"
    package static let planName = "plan"
    package static let plan = "\(folder)/\(planName)"

    package static func isThere(_ storage: any Storage) throws(SystemError) -> Bool { try storage.list(folder).contains(planName) }

    package static let problem =
        "an import of a queue was cut off; give the same `martlet import` command again: it goes on where it stopped. Only if what it read is gone,"
        + " remove this file, to go on with the messages that came in"
}

private import Bytes
internal import Posix

/// The program behind TLS, found through PATH.
struct Program {
    let arguments: [[UInt8]]

    /// - Parameters:
    ///   - descriptors: what it has under which number; 2 and what else it inherits stays.
    ///   - variables: take the place of all that speak of TLS in our own environment.
    /// - Returns: its pid.
    func start(_ descriptors: KeyValuePairs<Int32, Int32>, variables: [(name: String, value: [UInt8])]) throws(SystemError) -> Int32 {
        let environment = Program.environment + variables.map { Array("\($0)=".utf8) + $1 }
        do throws(SystemError) {
            return try startThroughPath(arguments, environment: environment, descriptors: descriptors.map { ($0.key, $0.value) })
        } catch {
            throw SystemError(call: "run", subject: arguments.first?.text ?? "", errno: error.errno)
        }
    }

    /// Nobody but us says here whether there is TLS.
    private static var environment: [[UInt8]] {
        ProcessStrings.environment.filter { variable in
            !["SSL_", "TLS_", "SSLCTLFD=", "SSLREADFD=", "SSLWRITEFD="].contains { variable.starts(with: $0.utf8) }
        }
    }
}

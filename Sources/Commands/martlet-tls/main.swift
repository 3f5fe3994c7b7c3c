private import Glibc

exit(MartletTLS.run())

from coditect.cli import main

main()

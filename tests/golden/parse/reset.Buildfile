FROM --reset a
FROM --reset=cmd,env --platform=b c AS d

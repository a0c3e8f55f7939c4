fRoM a
rUN b
OnBuild rUn c
HealthCheck nOnE

(form)
(runn)
(export)

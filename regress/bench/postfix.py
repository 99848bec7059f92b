class Postfix:
    @staticmethod
    def obstacle(build, mode):
        return "not yet"
